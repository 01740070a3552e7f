"""What lives on a server and knows no Temporal: journal, undo records, processes, output."""
