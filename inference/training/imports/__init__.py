"""Other people's labels as labelled strips; each module reads one layout."""
