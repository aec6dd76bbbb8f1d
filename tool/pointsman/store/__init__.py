"""Object storage: blobs and serving pointers by key under one URL, in a directory or a bucket."""
