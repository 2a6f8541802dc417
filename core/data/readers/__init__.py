"""One file a kind of source: each turns a file into a `Table` of text columns with original row numbers."""
