# --blobs s3:// at a host with a name: nginx asks the name servers of the machine where it is, also after the start, since
# the addresses of such a server change. The one here is in a namespace of its own.
use v5.36;
use IO::Socket::INET;
use POSIX ();
use Registry limit => 120;
use Registry::Checks;
use Registry::S3;
use Registry::Tools;
use Test::More;

plan skip_all => 'cannot mount here' if !is_root() || run([ 'unshare', '-m', 'true' ])->{exit};

my ($names, $tmp) = (0, tempdir());
my $SERVER = '127.0.0.9';
my $HOST   = 's3.registry.test';
my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => $SERVER, LocalPort => 53)
    or plan skip_all => "cannot listen on port 53 of $SERVER: $!";

# Answers each question for an A with the address in a file, which is good for this second; and others with nothing.
sub serve_names () {
    while (defined $socket->recv(my $question, 512)) {
        my ($id, $flags, $n) = unpack 'nnn', $question;
        my $asked = $n == 1 ? substr $question, 12, index($question, "\0", 12) + 5 - 12 : next;
        my $is_a  = unpack('n', substr $asked, -4) == 1;
        $socket->send(pack('n6', $id, 0x8580, 1, $is_a, 0, 0) . $asked
                . ($is_a ? pack('n3Nna4', 0xc00c, 1, 1, 0, 4, pack 'C4', split /\./, slurp("$tmp/address")) : ''));
    }
    return;
}

# And waits until the last answer is not valid any more: that is for the rest of its second.
sub move_to ($address) {
    spew("$tmp/address.new", $address);
    rename "$tmp/address.new", "$tmp/address" or return 0;
    return sleep 2;
}

ok(move_to('127.0.0.1'), 'S3 has an address');
$names = fork // die "fork: $!";
if ($names == 0) {
    serve_names();
    POSIX::_exit(0);
}
spew("$tmp/resolv.conf", "nameserver $SERVER\noptions timeout:1 attempts:2\n");
spew("$tmp/hosts",       "127.0.0.1 localhost\n");

my $s3       = Registry::S3->start;
my $own_etc  = "mount --bind $tmp/resolv.conf /etc/resolv.conf && mount --bind $tmp/hosts /etc/hosts && exec \"\$@\"";
my $registry = Registry->start(
    prefix   => [ 'unshare', '-m', 'sh', '-c', $own_etc, 'sh' ],
    args     => [ '--blobs', $s3->url =~ s/127\.0\.0\.1/$HOST/r ],
    env      => $s3->env,
    expected => qr/Connection refused|upstream|no live/,
);
my @layers = map { random_bytes(20_000) } 1 .. 3;
my $pull   = sub ($bytes) { return $registry->get('/v2/a/b/blobs/' . digest($bytes)) };

is_status($registry->push_image('a/b', 'v1', \@layers), 201, 'an image is pushed');
is($pull->($layers[0])->content, $layers[0], 'a layer of it comes from S3');
ok(move_to('127.0.0.8'), 'its host has another address, where nobody answers');
is_status($pull->($layers[1]), 503, '... and nginx asks there');
ok(move_to('127.0.0.1'), 'it has the old one again');
is($pull->($layers[2])->content, $layers[2], '... and layers come');

finish();

END {
    if ($names) {
        local $?;
        kill 'KILL', $names;
        waitpid $names, 0;
    }
}
