"""Session reports: the pages of the Moss API that list them, and what is read from them. No I/O."""
