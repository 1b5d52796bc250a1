"""Operations Status of the gateway: what is looked at, each part by a live check of its own."""
