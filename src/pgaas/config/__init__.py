"""What people wrote in confs/: loading, checking, merging, names. Import from the modules."""
