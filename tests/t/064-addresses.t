# Limits by address count a network of 64 bits of IPv6 as one address, and IPv4 within IPv6 as IPv4. Tried with the
# configuration that the program prints, in an nginx that takes the address of a client from a header.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Nginx;
use Registry::Tools;
use Test::More;

my @options  = ('--max-connections-per-address', 2, '--max-uploads', 2);
my $sockets  = tempdir() . '/sockets';
my $registry = Registry->start(fastcgi => $sockets, args => \@options);
sub printed ($part) {
    my $ran = Registry->try([ 'print-nginx-conf', "--$part", '--dir', $registry->dir, '--fastcgi', $sockets, @options ]);
    die $ran->{err} if $ran->{exit} != 0;
    return $ran->{out};
}
my $nginx = Registry::Nginx->start(
    files  => { http => printed('http'), locations => printed('server') },
    http   => 'include http;',
    server => "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Address;\ninclude locations;",
) // BAIL_OUT(Registry::Nginx->last_words);
my $client = $nginx->client(0);

sub status_for ($address) { return $client->get('/v2/', headers => { 'X-Address' => $address })->status }

my @cases = (
    # holds                     the same                              others
    [ '2001:db8:1:2::1',        [ '2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff' ], [ '2001:db8:1:3::1', '2001:db8:1:1:ffff::', '192.0.2.1' ] ],
    [ '2001:db8:a0a:a0a::1',    [ '2001:db8:a0a:a0a:a0a:a0a:a0a:a0a' ],  [ '2001:db8:a0a:a0b::1', '10.10.10.10' ] ],    # bytes that are line ends
    [ '192.0.2.1',              [ '::ffff:192.0.2.1' ],               [ '192.0.2.2', '::ffff:192.0.2.2', '::1' ] ],
    [ '::ffff:10.10.10.10',     [ '10.10.10.10' ],                    [ '10.10.10.11', '::', '::1' ] ],
);
for my $case (@cases) {
    my ($address, $same, $others) = @$case;
    my @held = map { $client->hold(PUT => '/v2/a/manifests/x', headers => { 'X-Address' => $address }) } 1, 2;
    is(status_for($address), 429, "$address has as many requests as it may have");
    is(status_for($_), 429, "... which is true for $_") for @$same;
    is(status_for($_), 200, "... but not for $_") for @$others;
    $_->close for @held;
    ok(wait_for(20, sub { status_for($address) == 200 }), '... and when they have ended, there is room');
}

# The workers' limits count in the same way.
my $begin = sub ($address) { return $client->post('/v2/a/b/blobs/uploads/', body => '', headers => { 'X-Address' => $address })->status };
is($begin->("2001:db8:5:6::$_"), 202, "2001:db8:5:6::$_ begins an upload") for 1, 2;
is($begin->('2001:db8:5:6:7::'), 429, '... another address of this network does not');
is($begin->('2001:db8:5:7::'), 202, '... an address of another network does');

$nginx->stop;
finish();
