"""How is a person erased everywhere, with a proof, while amounts and events stay?"""
