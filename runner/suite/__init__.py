"""What to ask: suite files read strictly, their variables filled, their cases laid out."""
