"""What a run leaves behind, what its objects are called, and who may write them."""
