"""What a newcomer's machine needs: tools, providers, the front end, and the programs that `./run.sh` keeps running."""
