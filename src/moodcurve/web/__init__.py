"""The local page: a server that traces what is dropped on it, and what the browser gets."""
