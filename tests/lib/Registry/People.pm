package Registry::People;

# A registry with people: ann may do everything, bob pulls what is below team/, and everybody what is below public/.
use v5.36;
use Exporter qw(import);
use Registry::Tools;

our @EXPORT = qw(start_with_people);

my $RULES = <<'END_RULES';
**          ann       all
team/**     bob       pull
public/**   anonymous pull
END_RULES

# Takes what Registry->start does. Returns the registry, and a client of ann's.
sub start_with_people (%o) {
    my $file = tempdir() . '/access';
    spew($file, $RULES);
    my $registry = Registry->start(%o, args => [ '--user', 'ann:secret', '--user', 'bob:second', '--access', $file, @{ $o{args} // [] } ]);
    return ($registry, $registry->with(user => 'ann:secret'));
}

1;
