"""When to answer: costs, and the rules that weigh waiting against errors."""
