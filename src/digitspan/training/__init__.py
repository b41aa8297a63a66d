"""One run is trained: a configuration goes in, a record comes out."""
