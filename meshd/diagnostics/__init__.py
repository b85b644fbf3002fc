"""What is wrong, where it stands, and how to fix it: pure values and their rendering."""
