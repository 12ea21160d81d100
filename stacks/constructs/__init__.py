"""The nouns that the stacks are composed of."""
