"""What several kinds of tests share. README.md says which file holds what."""
