"""How loops become machine code and run: options of the compiler, launches, threads, and the cache on disk."""
