"""Files that are read, locked and replaced so that nothing is lost."""
