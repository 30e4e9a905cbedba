"""The subcommands of `plures` that talk to a server. Only what is called is imported: `plures --help` is fast."""
