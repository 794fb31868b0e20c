"""The link to a runner, and the board: the rows as last told."""
