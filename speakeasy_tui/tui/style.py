"""How the widgets are laid out and coloured."""

CSS = """
Screen { background: $background; color: $foreground; }
#head, #footer { background: $panel; }
#head { margin-bottom: 1; }
Board #overview { margin-bottom: 1; }
#filter-bar { display: none; height: 1; background: $panel; }
#slash { width: 3; }
#filter { height: 1; width: 1fr; border: none; padding: 0; background: $panel; }
#filter:focus { border: none; background-tint: transparent; }
#status { height: 1; }
LineView { background: $background; scrollbar-background: $background; }
BatchTable { background: $background; scrollbar-background: $background; }
Listing { background: $background; scrollbar-background: $background; }
#log, #form { height: 1fr; }
#form-help { height: 5; }
LineView, BatchTable, Listing { scrollbar-color: $faint; scrollbar-color-hover: $quiet;
    scrollbar-color-active: $quiet; scrollbar-background-hover: $background;
    scrollbar-background-active: $background; }

Detail #head { margin-bottom: 0; }
#panes { height: 1fr; layout: vertical; }
Detail.-wide #panes { layout: horizontal; }
#panes LineView { border: none; border-top: solid $faint; border-title-color: $quiet;
    padding: 0 1; height: 1fr; width: 1fr; }
#panes LineView:focus { border-top: solid $primary; border-title-color: $primary; }
Detail.-narrow #facts { height: auto; max-height: 55%; }
Detail.-narrow.-textless #facts { height: 1fr; max-height: 100%; }
Detail.-narrow.-textless #transcript { height: 2; }
Detail.-wide #facts { width: 2fr; }
Detail.-wide #transcript { width: 3fr; }

ModalScreen { align: center middle; background: $background 55%; }
ModalScreen:ansi { background: transparent; }
.dialog { width: 64; max-width: 92%; height: auto; max-height: 90%; padding: 1 2;
    background: $panel; border: round $faint; }
.dialog:ansi { background: ansi_default; border: round ansi_default; }
ModalScreen.-short .dialog { max-height: 100%; padding: 0 1; }
.dialog Lines { width: 1fr; }
.dialog.-wide { width: 78; height: 90%; }
.dialog.-low { height: auto; }
#path { height: 1; border: none; padding: 0; background: $background; }
#path:focus { border: none; background-tint: transparent; }
SummaryScreen #footer { dock: bottom; }
#reasons { height: auto; }
#slowest { height: 1fr; }
.dialog LineView { height: 1fr; background: $panel; scrollbar-background: $panel; }
.dialog Listing { background: $panel; scrollbar-background: $panel; }
.dialog Listing:ansi { background: ansi_default; scrollbar-background: ansi_default; }
.dialog LineView:ansi { background: ansi_default; scrollbar-background: ansi_default; }

Toast { background: $panel; padding: 0 1; margin-top: 0; width: 54; max-width: 68%; }
"""
