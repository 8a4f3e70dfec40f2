"""The rules every source file keeps: style, types, layers, headers, sizes, packaging."""
