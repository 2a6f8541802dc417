"""All Streamlit code that pages share; pages call it and `core.api`, nothing else."""
