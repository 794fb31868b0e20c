"""The files that the real engine has in flight, and what the runner is told of each."""

from __future__ import annotations

from collections.abc import Iterable

from speakeasy_tui.core.engineprotocol import ChunkDone, Finished, Opened, Progress
from speakeasy_tui.core.transcript import Chunk
from speakeasy_tui.engine.hand import opened
from speakeasy_tui.engine.wire import Writer
from speakeasy_tui.engine.work import FileWork, Piece


class InFlight:
    """Files by job, from the command that brings them until they are finished or dropped.

    Nothing is said twice: the runner needs longer to hear it than this to look.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._files: dict[int, FileWork] = {}
        self._said: dict[int, Opened] = {}
        """What was last said of those of which something was said."""

    def __len__(self) -> int:
        return len(self._files)

    def add(self, file: FileWork) -> None:
        """One more, of which nothing is known yet."""
        self._files[file.job] = file

    def get(self, job: int) -> FileWork | None:
        """The file of a job, if it is in flight."""
        return self._files.get(job)

    def jobs(self) -> list[int]:
        """All that are in flight."""
        return list(self._files)

    def drop(self, jobs: Iterable[int]) -> None:
        """Forget files and tell every thread to do so, too."""
        for job in jobs:
            if (file := self._forget(job)) is not None:
                file.drop()

    def begun(self, file: FileWork) -> bool:
        """Whether something was said of it."""
        return file.job in self._said

    def begin(self, file: FileWork) -> None:
        """Say what is known of it; once more when that is something else."""
        known = opened(file)
        if known != self._said.get(file.job):
            self._said[file.job] = known
            # Of a whole short one more is said soon.
            self._writer.send(known, soon=not (file.whole and file.short))

    def tell_language(self, file: FileWork) -> None:
        """Say what is known of it once its language is."""
        said = self._said.get(file.job)
        if file.language is not None and (said is None or said.language is None):
            self.begin(file)

    def tell_progress(self, file: FileWork) -> None:
        """Say how far it is."""
        self._writer.send(
            Progress(
                job=file.job,
                progress=round(file.progress, 4),
                stage="transcribe",
                work_s=round(file.work_s, 3),
            )
        )

    def tell_chunk(self, piece: Piece) -> None:
        """A chunk is done, and these are its segments."""
        file = piece.file
        file.done += 1
        file.done_s += piece.end - piece.start
        self._writer.send(
            ChunkDone(
                job=file.job,
                chunk=Chunk(
                    index=piece.index,
                    start=round(piece.start, 3),
                    end=round(piece.end, 3),
                    segments=tuple(piece.segments),
                ),
            )
        )

    def finish(self, file: FileWork) -> bool:
        """Say so, if it is finished; whether it is in flight no more."""
        if self._files.get(file.job) is not file:  # another try of the job may be by now
            return True
        if not (file.finished and file.told_whole):
            return False
        self._forget(file.job)
        language = file.language
        if language is None:  # nothing was decoded, so nothing was detected
            asked = file.options.language
            language = "en" if asked == "auto" else asked
        self._writer.send(
            Finished(
                job=file.job,
                language=language,
                language_probability=file.language_probability,
                warnings=list(file.warnings),
                work_s=round(file.work_s, 3),
                ticket=file.command.ticket,
            )
        )
        return True

    def _forget(self, job: int) -> FileWork | None:
        self._said.pop(job, None)
        return self._files.pop(job, None)
