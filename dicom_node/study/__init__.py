"""Analysis of complete studies: from images to stored results."""
