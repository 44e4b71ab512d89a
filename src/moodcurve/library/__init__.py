"""Many songs: scan them into tables, find them by mood, travel through them."""
