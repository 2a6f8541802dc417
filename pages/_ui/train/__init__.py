"""The Train page: dataset, model and methods (`form`), freeze grid, overrides, estimates."""
