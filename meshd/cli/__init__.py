"""Commands, exit statuses and all printing."""
