# Two servers of one database do all that the distribution-spec asks for, when each request goes to the next of them.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Conformance;
use Registry::Nodes;
use Registry::Tools;
use Test::More;

skip_or_fail($_) for Registry::Nodes->missing // ();

my $nodes = Registry::Nodes->start(2);
conforms($nodes);
is_status($nodes->get('/v2/'), 200, 'one more request: each of the following ones goes to the other server');
conforms($nodes, 'again');
is($nodes->command($_, 'fsck', '--rate', '0')->{exit}, 0, "fsck beside server $_ finds nothing") for 0, 1;
finish();
