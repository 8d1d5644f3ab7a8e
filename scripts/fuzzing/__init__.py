"""Damaged cores, programs and dumps, to every command in every form: what a hostile file must not achieve."""
