"""Reading of series and labels, and conversion of series to the input of a network."""
