"""Pictures for papers, one or two columns wide, as figures of Matplotlib; never imports torch."""
