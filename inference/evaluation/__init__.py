"""How well the model measures: strips of known truth and real pictures in, figures and a page out."""
