"""Tools for a developer's own machine: nothing here is needed to mint tokens in production."""
