//! Who may act: Armed, Preview, Warrant and refusals. Without a Warrant nothing is written anywhere.
