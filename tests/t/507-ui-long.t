# Long lists on the web page: they come in pages while somebody scrolls, few rows are in the document at a time, and rows that
# are drawn stay.
use v5.36;
use utf8;
use Registry limit => 120;
use Registry::Browser;
use Registry::Checks;
use Registry::Layers;
use Registry::Tools;
use Test::More;

BEGIN { need('chromium', 'chromedriver') }

my $registry = Registry->start;
my $manifest = do {
    my ($config, $text) = $registry->image_of([]);
    for my $name ((map { sprintf 'first/r%03d', $_ } 1 .. 150), (map { sprintf 'second/r%03d', $_ } 1 .. 300), 'zero') {
        $registry->push_blob($name, $config, way => 'post')->status == 201 and $registry->put_manifest($name, 'v1', $text)->status == 201 or die $name;
    }
    $text;
};
for my $from (map { 16 * $_ } 0 .. 29) {
    $registry->put('/v2/zero/manifests/' . digest($manifest) . '?' . join('&', map { "tag=t$_" } $from .. $from + 15), body => $manifest,
        headers => { 'Content-Type' => $Registry::Client::TYPE{manifest} })->status == 201 or die "tags from $from";
}

my $browser = Registry::Browser->start;
my $page    = 'http://127.0.0.1:' . $registry->port . '/ui';

# Scrolls until the summary is this one; the most elements of these that were there at a time.
sub scroll_to_end ($summary, $selector) {
    my $most = 0;
    wait_for(30, sub {
        my $n = $browser->js('scrollTo(0, document.body.scrollHeight); return document.querySelectorAll(arguments[0]).length', $selector);
        $most = $n if $n > $most;
        return $browser->text('.summary') eq $summary;
    }) or diag($browser->text('.summary'));
    is($browser->text('.summary'), $summary, 'all of them, in the end');
    return $most;
}

subtest 'repositories' => sub {
    $browser->go("$page/");
    ok($browser->sees('.row.repo', 'r001'), 'the first');
    is($browser->text('.summary'), '200 repositories and more', 'a page');
    is_deeply([ map { s/\s+/ /gr } $browser->texts('.row.space') ], ['first/ 150'], 'a namespace, with the number of its repositories');
    $browser->js(q{document.querySelector('.row.repo').dataset.seen = 'yes'});
    cmp_ok(scroll_to_end('451 repositories', '.rows li'), '<', 150, '... of which few are in the document');
    $browser->js('scrollTo(0, 452 * document.querySelector(".rows li").offsetHeight * 151 / 453)');
    ok($browser->sees('.row.space', 'second/'), 'the next namespace');
    like($browser->text('.row.space', 'second/'), qr/^second\/\s+300$/, '... has all of its repositories');
    $browser->js('scrollTo(0, 0)');
    $browser->click('.row.space button');
    ok($browser->sees('.row.space', 'second/'), 'a namespace is closed');
    is(scalar(grep { /^r150/ } $browser->texts('.row.repo .name')), 0, '... and its repositories are hidden');
    $browser->type('main input[type=search]', 'r15');
    ok(wait_for(10, sub { $browser->text('.summary') eq '11 repositories' }), 'a filter') or diag($browser->text('.summary'));
    is_deeply([ map { s/\s+/ /gr } $browser->texts('.row.space') ], [ 'first/ 1', 'second/ 10' ], '... opens what is closed');
};

subtest 'tags' => sub {
    $browser->go("$page/zero");
    ok($browser->sees('.row.tag', 't0'), 'the first');
    $browser->js(q{document.querySelector('.row.tag').dataset.seen = 'yes'});
    is($browser->js(q{document.querySelector('.row.tag input').click(); scrollTo(0, document.body.scrollHeight); return document.querySelectorAll('[data-seen]').length}), 1, 'a row');
    cmp_ok(scroll_to_end('481 tags', '.rows li'), '<', 150, '... of which few are in the document');
    $browser->js('scrollTo(0, document.body.scrollHeight)');
    ok($browser->sees('.row.tag', 'v1'), 'the last');
    ok($browser->sees('.actions', '1 tag chosen'), 'a tag that cannot be seen is still chosen');
};

subtest 'a further page that does not come' => sub {
    push_layers($registry, 'layers', 'hidden', gzip_layer(tar_of(map { sprintf 'f d/f%03d x', $_ } 1 .. 600)), gzip_layer(tar_of('f d/.wh..wh..opq ')));
    $browser->go("$page/layers:hidden/hidden/0");
    ok($browser->sees('.summary', '500 files, 500 B, and more'), 'hidden files') or diag($browser->text('main'));
    $browser->js('window.fetch = () => Promise.reject(new TypeError("no network")); scrollTo(0, document.body.scrollHeight)');
    ok($browser->sees('.state.error', 'can’t be reached'), '... say what is wrong') or diag($browser->text('main'));
};

is_deeply([ $browser->complaints ], [], 'the console has no complaints');
finish();
