"""Where networks come from: architecture search and compound scaling."""
