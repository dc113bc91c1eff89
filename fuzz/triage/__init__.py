"""From failures to bugs: reducing, explaining, naming, knowing them."""
