"""What a chief and its workers say to each other, and who is there."""
