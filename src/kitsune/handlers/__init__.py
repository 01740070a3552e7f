"""Step handlers, one file per type; `base` is the contract, `registry` finds them."""
