"""One file a figure, or a pair of figures of the same studies: what is trained for it, drawn and checked."""
