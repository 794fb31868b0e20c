"""The screens: the board, one job, help, a question."""
