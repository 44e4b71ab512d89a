"""The paper's experiment, table by table, on any labelled corpus."""
