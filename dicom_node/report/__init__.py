"""Study result to SR data sets and overlay: the only place that imports highdicom."""
