"""Reading of series and labels, and cutting of series to the input of a network."""
