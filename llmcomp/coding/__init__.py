"""Integer coders: the range coder of files and the textbook coder of lessons."""
