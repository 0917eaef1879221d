"""The provider's own books: what its API lists, compared with what arrived."""
