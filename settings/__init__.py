"""What PostgreSQL must do for a changed parameter, asked of real servers: `python -m settings`."""
